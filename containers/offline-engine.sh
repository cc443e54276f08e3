#!/bin/sh
# A Docker engine for `make containers` on a Debian machine without a registry: it reaches only its packages and PyPI.
#   containers/offline-engine.sh start FOLDER    prepares everything in FOLDER, starts the engine, prints what to export
#   containers/offline-engine.sh stop FOLDER     ends it; FOLDER can be deleted then
# Run it as root. The engine has a network namespace of its own, so that the machine's network stays as it is: run what
# needs the shop's ports in it, by the prefix that is printed. No image can be pulled, so two are made from packages:
# Python as the base, and a PostgreSQL that stands in for the official image.
set -eu
cd "$(dirname "$0")/.."
[ $# = 2 ] || { sed -n '2,7p' "$0" | cut -c3-; exit 2; }
command=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
release=trixie
suite_mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -v security | head -n 1)

if [ "$command" = stop ]; then
  if [ -f "$folder/engine/pid" ]; then kill "$(cat "$folder/engine/pid")"; fi
  exit 0
fi

packages() {
  missing=
  for name in docker.io iptables debootstrap; do
    dpkg -s "$name" >/dev/null 2>&1 || missing="$missing $name"
  done
  # shellcheck disable=SC2086 -- a list of names
  [ -z "$missing" ] || apt-get install -y -qq --no-install-recommends $missing >"$folder/apt.log" 2>&1
}

# Compose and buildx from a newer Debian, as plain files: nothing of the system is upgraded.
plugins() {
  [ ! -x "$folder/config/cli-plugins/docker-compose" ] || return 0
  apt="$folder/apt"
  mkdir -p "$apt/lists/partial" "$apt/archives" "$apt/files" "$folder/config/cli-plugins"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $suite_mirror $release main" >"$apt/sources.list"
  private="-o Dir::Etc::sourcelist=$apt/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$apt/lists"
  # shellcheck disable=SC2086 -- options
  apt-get $private -qq update
  # shellcheck disable=SC2086
  (cd "$apt/archives" && apt-get $private -qq download docker-compose docker-buildx 2>/dev/null)
  for archive in "$apt"/archives/*.deb; do dpkg-deb -x "$archive" "$apt/files"; done
  for plugin in docker-compose docker-buildx; do
    ln -sf "$apt/files/usr/libexec/docker/cli-plugins/$plugin" "$folder/config/cli-plugins/$plugin"
  done
}

engine() {
  if [ -f "$folder/engine/pid" ] && kill -0 "$(cat "$folder/engine/pid")" 2>/dev/null; then return 0; fi
  mkdir -p "$folder/engine"
  rm -f "$folder/engine/pid"
  start="ip link set lo up; sysctl -qw net.ipv4.ip_forward=1; exec dockerd --data-root '$folder/engine/data' \
    --exec-root '$folder/engine/exec' --pidfile '$folder/engine/pid' -H 'unix://$folder/engine/socket'"
  setsid unshare -n -m sh -c "$start" >"$folder/engine/log" 2>&1 </dev/null &
  tries=0
  until docker info >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 120 ] || { echo "The engine does not start; see $folder/engine/log" >&2; exit 1; }
    sleep 0.5
  done
}

path=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

base_image() {
  ! docker image inspect "shop-base:$release" >/dev/null 2>&1 || return 0
  root="$folder/base"
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$release" "$root" "$suite_mirror" >"$folder/base.log"
  rm -rf "$root"/usr/lib/python3*/EXTERNALLY-MANAGED "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  ln -sf /usr/bin/python3 "$root/usr/local/bin/python"
  tar -C "$root" -c . | docker import -c "ENV PATH=$path" -c 'CMD ["python"]' - "shop-base:$release" >/dev/null
}

database_image() {
  ! docker image inspect shop-postgres:17 >/dev/null 2>&1 || return 0
  root="$folder/postgres"
  debootstrap --variant=minbase --include=postgresql-17,ca-certificates "$release" "$root" "$suite_mirror" >"$folder/postgres.log"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  cat >"$root/usr/local/bin/docker-entrypoint.sh" <<'END'
#!/bin/sh
# What the official image does with an empty data folder.
set -e
[ "$1" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
  install -d -o postgres -g postgres -m 700 "$PGDATA" /var/run/postgresql
  exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
  initdb --encoding=UTF8 --locale=C.UTF-8 -D "$PGDATA" -U postgres --pwfile=/tmp/password \
    --auth-host=scram-sha-256 --auth-local=trust >/dev/null
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
fi
exec "$@" -c listen_addresses='*'
END
  chmod +x "$root/usr/local/bin/docker-entrypoint.sh"
  tar -C "$root" -c . | docker import -c "ENV PATH=$path" -c 'ENTRYPOINT ["docker-entrypoint.sh"]' \
    -c 'CMD ["postgres"]' -c 'ENV PGDATA=/var/lib/postgresql/data' -c 'VOLUME /var/lib/postgresql/data' - \
    shop-postgres:17 >/dev/null
}

wheels() {
  version=$(docker run --rm "shop-base:$release" python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  platforms=
  for minor in 17 26 28 34; do platforms="$platforms --platform manylinux_2_${minor}_$(uname -m)"; done
  for lock in requirements-runtime.lock requirements-gateway.lock; do
    # shellcheck disable=SC2086 -- options
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
      --python-version "$version" $platforms --platform "manylinux2014_$(uname -m)" --platform any \
      -d containers/wheels -r "$lock"
  done
}

unset PIP_NO_INDEX  # what it prints may be exported already
export DOCKER_HOST="unix://$folder/engine/socket" DOCKER_CONFIG="$folder/config"
packages
plugins
engine
base_image
database_image
wheels
cat <<END
export DOCKER_HOST=$DOCKER_HOST DOCKER_CONFIG=$DOCKER_CONFIG
export BASE=shop-base:$release PIP_NO_INDEX=1 SHOP_POSTGRES_IMAGE=shop-postgres:17
# then: nsenter -t $(cat "$folder/engine/pid") -n make containers
END

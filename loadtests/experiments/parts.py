"""The tables of an experiment's file, except phases and claims: systems, limits, search, turns, short form."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, model_validator

from loadtests.experiments.curves import MAX_RATE
from loadtests.experiments.files import Files
from loadtests.experiments.kinds import PROMISE_MS, Kind, Variant

Persona = Literal["window-shopper", "searcher", "buyer", "recommendation-widget", "auditor"]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Rate = Annotated[float, Field(ge=0, le=MAX_RATE)]
Count = Annotated[int, Field(ge=1, le=64)]
Cores = Annotated[float, Field(ge=0.02, le=64)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A table of the file. An unknown key is an error, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RouteRule(Part):
    """What the gateway of a monolith does with one path, such as `/api/products/*/recommendations`.

    Either `pool` is the name of a second pool of the same program, with the same database, that gets these requests.
    Or `at_most` is the number of these requests that are let in at a time; the others get a 503 at once.
    """

    path: Annotated[str, Field(pattern="^/.+")]
    pool: Annotated[str, Field(pattern="^[a-z][a-z-]*$")] | None = None
    at_most: Annotated[int, Field(ge=1, le=1000)] | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.pool is None) == (self.at_most is None):
            raise ValueError("expected either pool or at_most")
        return self


class Following(Part):
    """How the number of replicas of `service` changes in the phases that say `follow`.

    Either `policy` is a HorizontalPodAutoscaler file beside the experiment, and the launcher's autoscaler decides by it
    every `every_seconds`. Or `plan` is a timetable, as (share of the phase, replicas from then on).
    """

    service: str
    policy: str | None = None
    every_seconds: Annotated[float, Field(ge=0.2, le=60)] = 1.0
    plan: tuple[tuple[Share, Count], ...] = ()
    _policy_text: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _is_one_of_two(self, info: ValidationInfo) -> Self:
        if (self.policy is None) != bool(self.plan):
            raise ValueError("expected either policy or plan")
        if self.plan and (self.plan[0][0] != 0 or list(self.plan) != sorted(self.plan)):
            raise ValueError("plan: expected growing shares of the phase, the first of them 0")
        if self.policy:
            self._policy_text = (info.context or Files(None, {})).read(self.policy)
        return self

    @property
    def facts(self) -> dict[str, Any]:
        """As the files of a trial have it; `policy` is the text of the file."""
        found = self.model_dump(exclude={"policy", "plan"})
        return found | (
            {"policy": self._policy_text} if self.policy else {"plan": [list(each) for each in self.plan]}
        )


class System(Part):
    """A shop in one configuration. A service that `replicas` does not name has one replica.

    `slices` sets the cores per replica of single services, in phases that set no slice of their own. `products` is the
    size of the catalogue. `route` sends one path of a monolith to a second pool, or limits it. `following` lets the
    replicas of one service change with demand. `variant` exchanges the code of recommendations.
    """

    id: str
    label: str
    system: Kind
    replicas: dict[str, Count] = Field(default_factory=dict)
    slices: dict[str, Cores] = Field(default_factory=dict)
    products: Annotated[int, Field(ge=40, le=99_999)] | None = None
    route: RouteRule | None = None
    following: Following | None = None
    variant: Variant | None = None

    @model_validator(mode="after")
    def _fits_its_shop(self) -> Self:
        if self.route and self.system != "monolith":
            raise ValueError('route: expected only where system = "monolith"')
        if self.variant == "node" and self.system == "monolith":
            raise ValueError('variant: expected "node" only where system = "microservices"')
        return self

    @property
    def route_facts(self) -> dict[str, str | int] | None:
        """The route as the files of a trial have it."""
        return self.route.model_dump(exclude_none=True) if self.route else None


class Limits(Part):
    """The timeout of a request, and how many visits of a persona may be in flight (the bounded queue).

    `promise_ms` is the promised time of `in_time_share`, from the intended start. What is under way when the last phase
    has ended gets `drain_seconds` more, and is then cut off.
    """

    timeout_seconds: Seconds = 10.0
    drain_seconds: Seconds = 10.0
    promise_ms: Annotated[float, Field(gt=0)] = PROMISE_MS
    users: dict[Persona, Annotated[int, Field(ge=1, le=2000)]]


class SearchSpec(Part):
    """A search by bisection for the capacity: the highest rate at which the shop keeps a promise.

    One trial tries one rate. It starts fresh processes, runs the unrecorded phases that come before `phase`, and then
    `phase` at that rate, from `start` visits per second on. Other trials leave this phase out. The phase's own rates
    only divide the visits among the personas. The search ends when the bracket is at most `width` times its lower end
    wide. The promised p95 is that of `endpoint`; `errors` and `achieved` are shares of all requests.
    """

    phase: str
    start: Annotated[float, Field(gt=0, le=2000)]
    width: Annotated[float, Field(gt=0, le=1)] = 0.1
    least: Annotated[float, Field(gt=0)] = 1.0
    most: Annotated[float, Field(gt=0, le=MAX_RATE)] = 2000.0
    endpoint: str = "all"
    p95_ms: Annotated[float, Field(gt=0)] = PROMISE_MS
    errors: Share = 0.001
    achieved: Share = 0.99

    @model_validator(mode="after")
    def _begins_inside(self) -> Self:
        if not self.least <= self.start <= self.most:
            raise ValueError(
                f"expected least <= start <= most, not {self.least:g}, {self.start:g} and {self.most:g}"
            )
        return self


class Demand(Part):
    """What `following` follows: visits of `persona`, which ask for `endpoint`.

    In the phase `capacity` as many of them come as the replicas can serve. The demand at a time is then the smallest
    number of replicas that can serve the visits of that time.
    """

    persona: Persona
    endpoint: str
    capacity: str


class Turns(Part):
    """Systems that run at the same time and take turns under the load of one `phase` (`loadtests.planning.turns`).

    Each of `groups` names the systems of one group. A system in no group runs alone. Every system gets the whole
    length of the phase, in turns of about `seconds`. Before each turn come `lead_seconds` of the same load, which are
    not recorded.
    """

    phase: str
    groups: Annotated[tuple[Annotated[tuple[str, ...], Field(min_length=2)], ...], Field(min_length=1)]
    seconds: Annotated[float, Field(ge=0.2, le=60)] = 0.8
    lead_seconds: Annotated[float, Field(gt=0, le=10)] = 0.25

    def rounds(self, phase_seconds: float) -> int:
        """The number of turns of each system in a phase of that length."""
        return max(1, round(phase_seconds / self.seconds))


class ShortForm(Part):
    """What the short form (the demo's) changes: fewer repeats, shorter phases, fewer systems and phases."""

    repeats: Annotated[int, Field(ge=1, le=50)]
    seconds: dict[str, Seconds]
    systems: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    """Phases."""
    groups: tuple[tuple[str, ...], ...] = ()
    slice_cores: Cores | None = None
    timeout_seconds: Seconds | None = None
    drain_seconds: Seconds | None = None

from microservices.topology import Service, Topology

TOPOLOGY = Topology(
    "workspace",
    (
        Service(
            "monolith",
            ("-m", "monolith.cli", "serve", "--host", "{host}", "--port", "{port}"),
            paths=("/",),
        ),
    ),
)
SEED = {"monolith": ("-m", "monolith.cli", "seed")}

"""Mutation testing of the checks: `exercises dev mutate N` changes a solution piece by piece and lists what survives.

`mutants` says which changes there are, `python`, `caddyfile` and `settings` make them for one kind of file each.
`running` tries them in `worker` processes and stores each result, `report` tells the result.
"""

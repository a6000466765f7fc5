"""Tasks in eight families, made for the benchmarks of execution.

A family has one or two source runs that agents did and at least five new tasks in other words, each with what
an independent reference says must come of it. Nothing in a task's words names a skill.
"""

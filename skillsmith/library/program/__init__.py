"""What a skill is made of: bindings, conditions, values, graph and document, and what makes it valid."""

"""How files come in and go out: strict YAML, the pydantic base, shipped names, whole-or-nothing writes."""

"""Real models that come as packages, held to their makers' own calls (make models)."""

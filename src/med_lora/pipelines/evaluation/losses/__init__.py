"""How surprising the reference answers, and general English, are to an arm."""

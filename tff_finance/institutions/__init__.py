"""Who holds what: institutions, their examples and the state they keep."""

"""The public tables: one file each says which files hold it and how to read them."""

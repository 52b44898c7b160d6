"""Who is measured: midfill and its peers, each asked as its own clients ask it."""

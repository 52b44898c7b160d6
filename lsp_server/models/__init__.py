"""Model files: the catalog of pinned models, fetching and checking them, who may be loaded."""

"""Systems that users bring: node classes, TOML descriptions, and the pytest fixture."""

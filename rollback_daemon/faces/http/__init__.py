"""The daemon over HTTP: the API (`api`), who is calling (`caller`), and the server that carries both (`server`)."""

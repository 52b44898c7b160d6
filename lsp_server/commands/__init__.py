"""The subcommands of ``midfill``, one a file: ``add_parser(subparsers)`` and ``run(args)``."""

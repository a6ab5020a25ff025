"""The demo: a market of real daemons that shows what it promises."""

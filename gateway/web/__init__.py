"""The local API and the page: what people and the command see of a running gateway."""

"""Where flags are changed: the contract is `store`, the adapters are in `stores/`."""

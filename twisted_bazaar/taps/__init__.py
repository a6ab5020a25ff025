"""What C{twistd} runs: options and the services made from them."""

"""What is asked: the experiments as TOML files, and what reads and checks them."""

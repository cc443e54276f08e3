"""Orders: checkout as a saga, the customers' history, and the feed of what was ordered."""

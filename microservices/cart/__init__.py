"""Cart: what each customer wants to buy."""

"""Cart: what each customer means to buy."""

"""Who visits, and when: the visitors, their arrivals, and the process that sends them."""

STYLE = "older"

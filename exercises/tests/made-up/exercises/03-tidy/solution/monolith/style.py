STYLE = "new"

STYLE = "old"

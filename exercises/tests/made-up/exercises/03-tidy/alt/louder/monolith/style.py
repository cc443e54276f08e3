STYLE = "new!"

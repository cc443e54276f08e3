FASHION = "old"

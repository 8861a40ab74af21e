"""K-means on rows of which some values are missing (NaN), by the values that are observed.

The distance of a row is that over its observed features, multiplied by the number of features and
divided by that of the observed ones (J. K. Dixon, "Pattern recognition with partly missing data",
1979). Centroids are means over the observed values, column by column, so that each iteration lowers
the sum of squares over observed values, which is the objective of k-POD (Chi, Chi & Baraniuk,
"k-POD: A method for k-means clustering of missing data", 2016).
"""

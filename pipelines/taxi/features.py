"""Names and sizes of the features of the taxi pipeline, for preprocessing, model and pipeline."""

DENSE = ('trip_miles', 'fare', 'trip_seconds')
BUCKETIZED = ('pickup_latitude', 'pickup_longitude', 'dropoff_latitude', 'dropoff_longitude')
VOCABULARIES = ('payment_type', 'company')
# exclusive upper bounds of the values
CATEGORICAL = {'trip_start_hour': 24, 'trip_start_day': 8, 'trip_start_month': 13}

# where a trip begins and ends, in km east and north of the Loop: what KMeans clusters
ENDS = ('pickup', 'dropoff')
COORDINATES = ('pickup_east', 'pickup_north', 'dropoff_east', 'dropoff_north')
CLUSTER_PREFIX = 'zone'
ZONE_ID = f'{CLUSTER_PREFIX}_id'
ZONE_DISTANCE = f'{CLUSTER_PREFIX}_distance'
# where either end of a trip lies, which the analyzers tell as well
PLACES = 16
PLACE_IDS = ('pickup_place_id', 'dropoff_place_id')

BUCKETS = 10
VOCABULARY_SIZE = 1000
OOV_BUCKETS = 10

FARE = 'fare'
LABEL = 'tips'


def transformed_name(name):
    """Returns the name that the feature `name` has after Transform."""
    return f'{name}_xf'

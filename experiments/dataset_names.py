"""Names of the public tables, known before anything is imported."""

DATASETS = (
    "taiwan",
    "sba",
    "bank_marketing",
    "handbook_fraud",
    "handbook_features",
    "german",
    "ulb",
)

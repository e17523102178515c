"""What scores are called in tables."""

TITLES = {
    "weighted_f1": "weighted F1", "macro_f1": "macro F1", "uar": "UAR", "accuracy": "accuracy",
    "micro_f1": "micro F1", "precision": "precision", "recall": "recall", "mae": "MAE",
    "pearson": "Pearson", "has0_accuracy": "Has0 Acc-2", "has0_f1": "Has0 F1",
    "non0_accuracy": "Non0 Acc-2", "non0_f1": "Non0 F1", "accuracy_7": "Acc-7",
    "accuracy_5": "Acc-5", "accuracy_3": "Acc-3", "accuracy_2": "Acc-2", "f1": "F1",
}  # fmt: skip

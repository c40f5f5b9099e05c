"""Labels for annotation tools and trainers, made by a trained model."""

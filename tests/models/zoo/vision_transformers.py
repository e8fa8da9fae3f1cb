"""Classifiers of images that attend, of torchvision."""

from torchvision import models

from .case import images, model


@model
def vit_b_16(small):
    if not small:
        return images(models.vit_b_16(), batch=2, side=224, classes=1000)
    built = models.VisionTransformer(
        image_size=16,
        patch_size=4,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
        dropout=0.1,
        attention_dropout=0.1,
        num_classes=10,
    )
    return images(built, batch=3, side=16, classes=10)


@model
def swin_t(small):
    if not small:
        return images(models.swin_t(), batch=2, side=224, classes=1000)
    # 8 by 8 places in windows of 4, shifted in every other block; 4 by 4 places after merging.
    built = models.SwinTransformer(
        patch_size=[4, 4],
        embed_dim=8,
        depths=[2, 1],
        num_heads=[2, 4],
        window_size=[4, 4],
        mlp_ratio=2.0,
        dropout=0.1,
        attention_dropout=0.1,
        stochastic_depth_prob=0.1,
        num_classes=10,
    )
    return images(built, batch=2, side=32, classes=10)

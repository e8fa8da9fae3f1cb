"""Convolutional classifiers of torchvision."""

import functools

from torch import nn
from torch.utils import _pytree as pytree
from torchvision import models
from torchvision.models import convnext, efficientnet, mobilenetv3, resnet, shufflenetv2, vgg
from torchvision.models.googlenet import GoogLeNetOutputs, Inception, InceptionAux
from torchvision.models.inception import InceptionB, InceptionC, InceptionOutputs

from .case import images, model, narrow

# Archives write down what a program's outputs are put into; PyTorch knows no named tuples unless told, and
# before 2.5 cannot be told.
for outputs in (GoogLeNetOutputs, InceptionOutputs):
    if hasattr(pytree, "_register_namedtuple"):
        name = f"{outputs.__module__}.{outputs.__name__}"
        pytree._register_namedtuple(outputs, serialized_type_name=name)

FULL = {"batch": 2, "side": 224, "classes": 1000}
SMALL = {"batch": 3, "side": 32, "classes": 10}


@model
def resnet18(small):
    if not small:
        return images(models.resnet18(), **FULL)
    built = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)
    return images(narrow(built, 24, (3, 10)), **SMALL)


@model
def resnet50(small):
    if not small:
        return images(models.resnet50(), **FULL)
    built = resnet.ResNet(resnet.Bottleneck, [2, 1, 1, 1], num_classes=10)
    return images(narrow(built, 32, (3, 10)), **SMALL | {"batch": 4})


@model
def vgg11(small):
    if not small:
        return images(models.vgg11(), **FULL)
    # Two halvings instead of five: 28 by 28 places become the 7 by 7 that the head reads, as 224 do.
    layers = vgg.make_layers([4, "M", 6, "M", 8, 8, 8, 4])
    built = vgg.VGG(layers, num_classes=10)
    # The head reads 512 channels; divided by 128 they are 4.
    narrow(built.classifier, 128, (10,))
    return images(built, **SMALL | {"side": 28})


@model
def mobilenet_v2(small):
    if not small:
        return images(models.mobilenet_v2(), **FULL)
    # Expansion, channels, repeats, stride.
    settings = [[1, 4, 1, 1], [6, 8, 2, 2]]
    built = models.MobileNetV2(10, 0.01, settings, round_nearest=4)
    # The last convolution has 1280 channels however narrow the rest is.
    narrow(built.features[-1], 40, (4,))
    built.classifier[1] = nn.Linear(32, 10)
    return images(built, **SMALL)


def _mobilenet_v3(small, name, settings):
    if not small:
        return images(models.get_model(name), **FULL)
    config = functools.partial(mobilenetv3.InvertedResidualConfig, dilation=1, width_mult=1.0)
    built = mobilenetv3.MobileNetV3([config(*one) for one in settings], last_channel=16, num_classes=10)
    return images(built, **SMALL)


# Channels, kernel, expanded channels, channels after, squeeze and excitation, activation, stride.


@model
def mobilenet_v3_small(small):
    settings = [
        (8, 3, 8, 8, True, "RE", 2),
        (8, 3, 16, 8, False, "RE", 1),
        (8, 5, 24, 8, True, "HS", 2),
    ]
    return _mobilenet_v3(small, "mobilenet_v3_small", settings)


@model
def mobilenet_v3_large(small):
    settings = [
        (8, 3, 8, 8, False, "RE", 1),
        (8, 5, 16, 8, True, "RE", 2),
        (8, 3, 24, 8, False, "HS", 1),
    ]
    return _mobilenet_v3(small, "mobilenet_v3_large", settings)


@model
def squeezenet1_1(small):
    if not small:
        return images(models.squeezenet1_1(), **FULL)
    built = models.SqueezeNet("1_1", num_classes=10)
    # Those that give as many channels as they take.
    for part in (4, 7, 12):
        built.features[part] = nn.Identity()
    return images(narrow(built, 8, (3, 10)), **SMALL)


@model
def densenet121(small):
    if not small:
        return images(models.densenet121(), **FULL)
    built = models.DenseNet(4, (2, 2), 8, bn_size=2, num_classes=10)
    return images(built, **SMALL)


@model
def efficientnet_b0(small):
    if not small:
        return images(models.efficientnet_b0(), **FULL)
    # Expansion, kernel, stride, channels, channels after, layers.
    settings = [(1, 3, 1, 8, 8, 1), (6, 5, 2, 8, 16, 2)]
    settings = [efficientnet.MBConvConfig(*one) for one in settings]
    built = efficientnet.EfficientNet(settings, dropout=0.2, num_classes=10, last_channel=32)
    return images(built, **SMALL)


@model
def convnext_tiny(small):
    if not small:
        return images(models.convnext_tiny(), **FULL)
    settings = [convnext.CNBlockConfig(8, 16, 1), convnext.CNBlockConfig(16, None, 2)]
    # A layer scale of 1e-6, as in training from nothing, would hide what a block computes.
    built = convnext.ConvNeXt(settings, 0.1, layer_scale=0.5, num_classes=10)
    return images(built, **SMALL, random=True)


@model
def shufflenet_v2_x0_5(small):
    if not small:
        return images(models.shufflenet_v2_x0_5(), **FULL)
    built = shufflenetv2.ShuffleNetV2([2, 1, 1], [4, 8, 16, 16, 32], num_classes=10)
    return images(built, **SMALL)


@model
def googlenet(small):
    if not small:
        return images(models.googlenet(init_weights=True), **FULL)
    built = models.GoogLeNet(num_classes=10, aux_logits=True, init_weights=False)
    # Fewer parts, whose widths all divide by 32, so that what is concatenated fits what reads it.
    built.inception4a = Inception(256, 192, 96, 192, 16, 64, 64)
    for part in ("inception3b", "inception4b", "inception4c", "inception4d", "inception5a"):
        setattr(built, part, nn.Identity())
    built.inception4e = Inception(512, 256, 160, 320, 32, 128, 128)
    built.aux2 = InceptionAux(512, 10)
    return images(narrow(built, 32, (3, 10)), **SMALL)


@model
def inception_v3(small):
    if not small:
        return images(models.inception_v3(init_weights=True), **FULL | {"side": 299})
    # The auxiliary head needs images of 299 by 299; the main output does not depend on it.
    built = models.Inception3(num_classes=10, aux_logits=False, init_weights=False)
    # One part of each kind.
    built.Mixed_6a = InceptionB(256)
    built.Mixed_6b = InceptionC(736, channels_7x7=128)
    for part in ("Mixed_5c", "Mixed_5d", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7c"):
        setattr(built, part, nn.Identity())
    return images(narrow(built, 32, (3, 10)), **SMALL | {"side": 75})

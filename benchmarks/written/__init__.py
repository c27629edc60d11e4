"""Networks as users write them: plain modules of torch, small, with random weights. `NETWORKS` lists them with the shape of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.domain.networks.task import TensorSpec
from written import convolutional, mobile, pixels, sequences, transformers

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from edgesim.domain.networks.samples import Inputs

_IMAGE = (3, 32, 32)

NETWORKS: dict[str, tuple[Callable[[], nn.Module], Inputs | tuple[int, ...]]] = {
    "LeNet-5": (convolutional.LeNet, (1, 28, 28)),
    "VGG": (convolutional.vgg, _IMAGE),
    "Network in network": (convolutional.network_in_network, _IMAGE),
    "ResNet, basic blocks": (convolutional.ResNet, _IMAGE),
    "ResNet, bottlenecks": (lambda: convolutional.ResNet(is_narrow=True), _IMAGE),
    "ResNeXt": (lambda: convolutional.ResNet(is_narrow=True, groups=4), _IMAGE),
    "Pre-activation ResNet": (convolutional.PreActivation, _IMAGE),
    "DenseNet": (convolutional.DenseNet, _IMAGE),
    "SqueezeNet": (convolutional.SqueezeNet, _IMAGE),
    "Inception": (convolutional.Inception, _IMAGE),
    "Volume CNN": (convolutional.volumes, (1, 8, 16, 16)),
    "MobileNet v1": (mobile.mobilenet_v1, _IMAGE),
    "MobileNet v2": (mobile.MobileNetV2, _IMAGE),
    "MobileNet v3": (mobile.MobileNetV3, _IMAGE),
    "EfficientNet": (mobile.EfficientNet, _IMAGE),
    "ShuffleNet v1": (mobile.ShuffleNetV1, _IMAGE),
    "ShuffleNet v2": (mobile.ShuffleNetV2, _IMAGE),
    "Xception": (mobile.Xception, _IMAGE),
    "U-Net, transposed convolutions": (pixels.UNet, _IMAGE),
    "U-Net, upsampling": (lambda: pixels.UNet(is_upsampling=True), _IMAGE),
    "Autoencoder": (pixels.autoencoder, (1, 28, 28)),
    "Detector with a feature pyramid": (pixels.Detector, _IMAGE),
    "Super-resolution, pixel shuffle": (pixels.SuperResolution, (1, 12, 12)),
    "ConvNeXt": (transformers.ConvNeXt, _IMAGE),
    "MLP-Mixer": (transformers.Mixer, _IMAGE),
    "ViT": (transformers.ViT, _IMAGE),
    "ViT, torch's encoder": (transformers.EncoderViT, _IMAGE),
    "Swin": (transformers.Swin, _IMAGE),
    "GPT": (transformers.GPT, {"tokens": TensorSpec((16,), "int64")}),
    "Llama": (transformers.Llama, {"tokens": TensorSpec((16,), "int64")}),
    "BERT classifier": (transformers.Bert, {"tokens": TensorSpec((16,), "int64")}),
    "MLP": (sequences.mlp, (20,)),
    "Text CNN": (sequences.TextCNN, {"tokens": TensorSpec((24,), "int64")}),
    "GRU classifier": (sequences.GRUClassifier, (16, 6)),
    "LSTM classifier": (sequences.LSTMClassifier, {"tokens": TensorSpec((16,), "int64")}),
    "CRNN": (sequences.CRNN, (1, 16, 32)),
    "TCN": (sequences.TCN, (4, 64)),
    "WaveNet": (sequences.WaveNet, (4, 64)),
    "Conformer block": (sequences.Conformer, (24, 16)),
    "PointNet": (sequences.PointNet, (64, 3)),
    "Deep sets": (sequences.DeepSets, (32, 3)),
    "GIN, dense adjacency": (sequences.GIN, {"vertices": TensorSpec((12, 5)), "adjacency": TensorSpec((12, 12))}),
    "GCN, dense adjacency": (sequences.GCN, {"vertices": TensorSpec((12, 5)), "adjacency": TensorSpec((12, 12))}),
}

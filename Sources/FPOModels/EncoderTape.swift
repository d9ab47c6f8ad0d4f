import FPOLayers
import FPONumerics

/// What a forward pass keeps for the backward pass.
struct EncoderTape {
    var embeddings: EmbeddingTape?
    var relative: RelativeTape?
    var convolution: ConvolutionTape?
    /// From the lowest block with something to train on.
    var blocks: [BlockTape] = []
    /// After the last block, `(tokens, hidden)`.
    var output: Matrix<Float>
}

struct EmbeddingTape {
    /// Positions of the tokens in the table of absolute positions.
    var positions: [Int32]
    /// Sum of the embeddings, before and after the projection; one and the same without.
    var narrow, sum: Matrix<Float>
    var statistics: Matrix<Float>
}

struct RelativeTape {
    var positions: RelativePositions
    /// The rows in use of the relative embeddings, as they are and normalised.
    var raw, normalized: Matrix<Float>
    var statistics: Matrix<Float>?
}

struct ConvolutionTape {
    /// `(tokens, inputs · width)`, the map's output, its activation, what the norm sees.
    var unfolded, mapped, active, sum: Matrix<Float>
    var statistics: Matrix<Float>
}

struct BlockTape {
    var x, q, k, v: Matrix<Float>
    /// What the adapters of query, key, value and output need.
    var qU, kU, vU, outputU: Matrix<Float>?
    var positions = RelativePositions.Projections()
    var bias: Matrix<Float>?
    var context, logSums: Matrix<Float>
    /// `x + attention`, its norm, and the feed-forward layer.
    var attended, attendedStatistics, middle: Matrix<Float>
    var wide, active: Matrix<Float>
    /// `middle + feed-forward`, whose norm is the block's output.
    var sum, statistics: Matrix<Float>
}

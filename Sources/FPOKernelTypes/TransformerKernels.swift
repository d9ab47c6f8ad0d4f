/// The kernels of transformer layers at one CPU level, in single precision. Like ``KernelTable``:
/// pointers and sizes only, and each result the same bits at every level.
public struct TransformerKernels: Sendable {
    public typealias Input = UnsafePointer<Float>
    public typealias Output = UnsafeMutablePointer<Float>

    /// A packed matrix: panels of `panelWidth` rows (the last padded with zeros), each `columns`
    /// times `panelWidth` elements.
    public struct Packed {
        public let memory: UnsafeMutableRawPointer
        /// 0 float32, 1 bfloat16, 2 int8.
        public let storage: Int32
        /// One for each row, of int8 alone.
        public let scales: Output
        public let rows, columns: Int

        public init(
            memory: UnsafeMutableRawPointer, storage: Int32, scales: Output, rows: Int, columns: Int
        ) {
            self.memory = memory
            self.storage = storage
            self.scales = scales
            self.rows = rows
            self.columns = columns
        }
    }

    /// A factor of a product that is not packed: element `(i, k)` at `base[i row + k depth]`.
    public struct Factor {
        public let base: Input
        public let row, depth: Int
        public init(base: Input, row: Int, depth: Int) {
            self.base = base
            self.row = row
            self.depth = depth
        }
    }

    /// Some rows and columns of the result of a product.
    public struct Part {
        public let rows, columns: Range<Int>
        public init(rows: Range<Int>, columns: Range<Int>) {
            self.rows = rows
            self.columns = columns
        }
    }

    /// Elements that a product's scratch must hold.
    public static let scratch = 65_536

    /// Rows in a panel of this level: 16 or 32.
    public let panelWidth: Int

    public let pack: @Sendable (Packed, _ row: Int, _ source: Input) -> Void
    public let unpack: @Sendable (Packed, _ row: Int, Output) -> Void

    /// `y[:, o] ← [y +] x wₒ` for the outputs of a part, `x (m, columns)`; columns of the part start
    /// at a panel.
    public let multiply:
        @Sendable (Packed, Part, _ x: Input, _ ldx: Int, _ y: Output, _ ldy: Int, _ adding: Bool)
            -> Void

    /// `dx ← [dx +] dy W` for a part of `dx`, over rows `first ..< first + outputs` of `W`.
    public let multiplyTransposed:
        @Sendable (
            Packed, _ first: Int, _ outputs: Int, Part, _ dy: Input, _ lddy: Int, _ dx: Output,
            _ lddx: Int, _ adding: Bool, _ scratch: Output
        ) -> Void

    /// `c ← [c +] alpha a bᵀ` for a part of `c`, over `depth`.
    public let product:
        @Sendable (
            Part, _ depth: Int, _ alpha: Float, _ a: Factor, _ b: Factor, _ c: Output, _ ldc: Int,
            _ adding: Bool, _ scratch: Output
        ) -> Void

    public let layers: LayerKernels
    public let attention: AttentionKernels

    public init(
        panelWidth: Int, pack: @escaping @Sendable (Packed, Int, Input) -> Void,
        unpack: @escaping @Sendable (Packed, Int, Output) -> Void,
        multiply: @escaping @Sendable (Packed, Part, Input, Int, Output, Int, Bool) -> Void,
        multiplyTransposed:
            @escaping @Sendable (
                Packed, Int, Int, Part, Input, Int, Output, Int, Bool, Output
            ) -> Void,
        product:
            @escaping @Sendable (
                Part, Int, Float, Factor, Factor, Output, Int, Bool, Output
            ) -> Void,
        layers: LayerKernels, attention: AttentionKernels
    ) {
        self.panelWidth = panelWidth
        self.pack = pack
        self.unpack = unpack
        self.multiply = multiply
        self.multiplyTransposed = multiplyTransposed
        self.product = product
        self.layers = layers
        self.attention = attention
    }
}

/// Kernels on rows of `n` elements. What starts with `d` is added to.
public struct LayerKernels: Sendable {
    public typealias Input = UnsafePointer<Float>
    public typealias Output = UnsafeMutablePointer<Float>

    /// `y ← y + s x`.
    public let add: @Sendable (_ n: Int, _ s: Float, _ x: Input, _ y: Output) -> Void

    /// `y ← w x s`; returns `s = 1 / √(mean(x²) + ε)`.
    public let rms:
        @Sendable (_ n: Int, _ epsilon: Float, _ x: Input, _ w: Input, _ y: Output) -> Float
    public let rmsBackward:
        @Sendable (_ n: Int, _ s: Float, _ x: Input, _ w: Input, _ dy: Input, _ dx: Output) -> Void

    /// `y ← w (x − mean) s + b`; returns mean and `s = 1 / √(variance + ε)`.
    public let layerNorm:
        @Sendable (_ n: Int, _ epsilon: Float, _ x: Input, _ w: Input, _ b: Input?, _ y: Output) ->
            (
                Float, Float
            )
    public let layerNormBackward:
        @Sendable (
            _ n: Int, _ mean: Float, _ s: Float, _ x: Input, _ w: Input, _ dy: Input, _ dx: Output
        ) -> Void

    /// `y ← y + s (x − mean) dy`.
    public let addCentredProduct:
        @Sendable (_ n: Int, _ mean: Float, _ s: Float, _ x: Input, _ dy: Input, _ y: Output) ->
            Void

    public let swiglu: @Sendable (_ n: Int, _ gate: Input, _ up: Input, _ y: Output) -> Void
    public let swigluBackward:
        @Sendable (
            _ n: Int, _ dy: Input, _ gate: Input, _ up: Input, _ dGate: Output, _ dUp: Output
        ) -> Void

    public let gelu: @Sendable (_ exact: Bool, _ n: Int, _ x: Input, _ y: Output) -> Void
    public let geluBackward:
        @Sendable (_ exact: Bool, _ n: Int, _ x: Input, _ dy: Input, _ dx: Output) -> Void

    /// Turns pairs `(x[i], x[half + i])` by angles of which `half` cosines and sines are given;
    /// `direction` is 1, or −1 to turn back.
    public let rotate:
        @Sendable (_ half: Int, _ direction: Float, _ table: Input, _ x: Output) -> Void

    /// Takes `n` logits into a state: see `CrossEntropy`. Returns the index of a new greatest
    /// logit, or −1.
    public let accumulate: @Sendable (_ n: Int, _ z: Input, _ state: Output) -> Int
    /// `z ← c e^{z − l}`.
    public let scaledExponential: @Sendable (_ n: Int, _ c: Float, _ l: Float, _ z: Output) -> Void

    public init(
        add: @escaping @Sendable (Int, Float, Input, Output) -> Void,
        rms: @escaping @Sendable (Int, Float, Input, Input, Output) -> Float,
        rmsBackward: @escaping @Sendable (Int, Float, Input, Input, Input, Output) -> Void,
        layerNorm: @escaping @Sendable (Int, Float, Input, Input, Input?, Output) -> (Float, Float),
        layerNormBackward:
            @escaping @Sendable (
                Int, Float, Float, Input, Input, Input, Output
            ) -> Void,
        addCentredProduct: @escaping @Sendable (Int, Float, Float, Input, Input, Output) -> Void,
        swiglu: @escaping @Sendable (Int, Input, Input, Output) -> Void,
        swigluBackward: @escaping @Sendable (Int, Input, Input, Input, Output, Output) -> Void,
        gelu: @escaping @Sendable (Bool, Int, Input, Output) -> Void,
        geluBackward: @escaping @Sendable (Bool, Int, Input, Input, Output) -> Void,
        rotate: @escaping @Sendable (Int, Float, Input, Output) -> Void,
        accumulate: @escaping @Sendable (Int, Input, Output) -> Int,
        scaledExponential: @escaping @Sendable (Int, Float, Float, Output) -> Void
    ) {
        self.add = add
        self.rms = rms
        self.rmsBackward = rmsBackward
        self.layerNorm = layerNorm
        self.layerNormBackward = layerNormBackward
        self.addCentredProduct = addCentredProduct
        self.swiglu = swiglu
        self.swigluBackward = swigluBackward
        self.gelu = gelu
        self.geluBackward = geluBackward
        self.rotate = rotate
        self.accumulate = accumulate
        self.scaledExponential = scaledExponential
    }
}

/// Attention on one head, or one group of heads: see `Attention` for the formulas.
public struct AttentionKernels: Sendable {
    public typealias Input = UnsafePointer<Float>
    public typealias Output = UnsafeMutablePointer<Float>

    /// Elements of scratch that a kernel may use; the longest rows must fit.
    public static let scratch = 32_768
    /// The most keys that a query may see.
    public static let maximumKeys = 16_384

    /// Elements from one row to the next in `scratch` when there are `keys` keys: a multiple of the
    /// panels of all levels.
    public static func padded(_ keys: Int) -> Int { (keys + 31) / 32 * 32 }

    /// A matrix of `(tokens, D)`, of one head.
    public struct Rows {
        public let base: Output
        public let leadingDimension: Int
        public init(_ base: Output, _ leadingDimension: Int) {
            self.base = base
            self.leadingDimension = leadingDimension
        }
    }

    /// One head of a sequence of `count` tokens.
    public struct Head {
        public let count, dimension: Int
        public let causal: Bool
        public let scale: Float
        /// `(count, count)`, or `nil`.
        public let bias: Input?
        /// `count` elements.
        public let statistics: Output?
        public init(
            count: Int, dimension: Int, causal: Bool, scale: Float, bias: Input?,
            statistics: Output?
        ) {
            self.count = count
            self.dimension = dimension
            self.causal = causal
            self.scale = scale
            self.bias = bias
            self.statistics = statistics
        }
    }

    /// `(D, padded(count))` from `(count, D)`.
    public let transpose: @Sendable (_ count: Int, _ dimension: Int, Rows, _ out: Output) -> Void

    /// Rows `rows` of `out`. `keys` transposed; rows of `values` may be read up to a panel past
    /// their end.
    public let forward:
        @Sendable (
            Head, _ rows: Range<Int>, _ q: Rows, _ keys: Input, _ values: Rows, _ out: Rows,
            _ scratch: Output
        ) -> Void

    /// Adds to rows `rows` of `dq`, and of `dBias`; writes `⟨dOutᵢ, outᵢ⟩` to `delta`.
    public let queryBackward:
        @Sendable (
            Head, _ rows: Range<Int>, _ q: Rows, _ keys: Input, _ values: Input, _ k: Rows,
            _ out: Rows, _ dOut: Rows, _ dq: Rows, _ dBias: Output?, _ delta: Output,
            _ scratch: Output
        ) -> Void

    /// Adds to rows `rows` of `dk` and `dv`. `queries` and `dOuts` transposed.
    public let keyBackward:
        @Sendable (
            Head, _ rows: Range<Int>, _ k: Rows, _ v: Rows, _ queries: Input, _ dOuts: Input,
            _ q: Rows, _ dOut: Rows, _ dk: Rows, _ dv: Rows, _ delta: Input, _ scratch: Output
        ) -> Void

    /// Keys `(D, capacity)` and values `(capacity, D)` of a cache, one key-value head of it.
    public struct Cache {
        public let keys, values: Input
        public let capacity: Int
        public init(keys: Input, values: Input, capacity: Int) {
            self.keys = keys
            self.values = values
            self.capacity = capacity
        }
    }

    /// One query row: `q` and `out` have `D` elements; it sees `own` keys of its own cache.
    public struct Query {
        public let q: Input
        public let out: Output
        public let cache: Cache
        public let own: Int
        public init(q: Input, out: Output, cache: Cache, own: Int) {
            self.q = q
            self.out = out
            self.cache = cache
            self.own = own
        }
    }

    /// Queries that see the first `shared` keys of `prompt`, then keys of their own cache;
    /// neighbours with the same cache are computed together.
    public let decode:
        @Sendable (
            _ dimension: Int, _ scale: Float, _ prompt: Cache?, _ shared: Int, _ count: Int,
            _ queries: UnsafePointer<Query>, _ scratch: Output
        ) -> Void

    public init(
        transpose: @escaping @Sendable (Int, Int, Rows, Output) -> Void,
        forward: @escaping @Sendable (Head, Range<Int>, Rows, Input, Rows, Rows, Output) -> Void,
        queryBackward:
            @escaping @Sendable (
                Head, Range<Int>, Rows, Input, Input, Rows, Rows, Rows, Rows, Output?, Output,
                Output
            ) -> Void,
        keyBackward:
            @escaping @Sendable (
                Head, Range<Int>, Rows, Rows, Input, Input, Rows, Rows, Rows, Rows, Input, Output
            ) -> Void,
        decode:
            @escaping @Sendable (
                Int, Float, Cache?, Int, Int, UnsafePointer<Query>, Output
            ) -> Void
    ) {
        self.transpose = transpose
        self.forward = forward
        self.queryBackward = queryBackward
        self.keyBackward = keyBackward
        self.decode = decode
    }
}

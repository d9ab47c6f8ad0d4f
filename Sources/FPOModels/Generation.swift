import FPOLayers
public import FPONumerics

/// How continuations are drawn, and when they end.
public struct GenerationConfiguration: Sendable {
    /// Of each prompt.
    public var candidates = 1
    public var maximumTokens = 64
    /// Before that many, stop tokens are not drawn.
    public var minimumTokens = 0
    public var sampling = Sampling()
    public var stopTokens: [Int32] = []
    /// Candidates decoded at a time; one prompt's are never divided.
    public var maximumBatch = 64

    public init() {}
}

/// Continuations of prompts, a token at a time. The candidates of a prompt share one computation
/// of it; all that are running are decoded as one batch, and leave it when they end. What a
/// candidate draws depends on its prompt and its key alone.
public final class Generation: @unchecked Sendable {
    public enum Finish: Int32, Sendable { case running = 0, stop, length }

    /// One of `prompts · candidates` rows of results.
    public struct Candidate: Sendable {
        public fileprivate(set) var tokens: [Int32] = []
        /// Of the model's own distribution.
        public fileprivate(set) var logP: [Float] = []
        public fileprivate(set) var finish = Finish.running
    }

    /// A candidate that is being decoded.
    private struct Live {
        let row: Int
        let prompt: KeyValueCache
        let own: KeyValueCache
    }

    public let configuration: GenerationConfiguration
    public private(set) var candidates: [Candidate]
    private let model: LlamaModel
    private let lora: LoRASnapshot?
    private let prompts: [[Int32]]
    private let keys: [RandomKey]
    private var live: [Live] = []
    private var next = 0
    private var workspace = Workspace()
    /// Own caches of candidates that have ended.
    private var free: [KeyValueCache] = []

    /// `keys`: one for each candidate, prompt by prompt. Prompts are not empty.
    public init(
        _ model: LlamaModel, adapter: LoRAAdapter?, _ configuration: GenerationConfiguration,
        prompts: [[Int32]], keys: [RandomKey]
    ) throws(NumericsError) {
        precondition(
            keys.count == prompts.count * configuration.candidates,
            "Generation: \(keys.count) keys for \(prompts.count) prompts")
        self.model = model
        self.configuration = configuration
        self.prompts = prompts
        self.keys = keys
        lora = try adapter.map { adapter throws(NumericsError) in try LoRASnapshot(adapter) }
        candidates = [Candidate](repeating: Candidate(), count: keys.count)
    }

    /// Candidates that have not ended.
    public var running: Int { live.count + (prompts.count - next) * configuration.candidates }

    /// One more token for every candidate that is being decoded, and the first one for those that
    /// there is room for.
    public func step() throws(NumericsError) {
        let old = live.count
        if old > 0 { try decode() }
        try admit(beside: old)
        retire()
    }

    // MARK: Prompts

    /// Tokens of prompts that are computed together, where none is longer.
    private static let prefillRows = 256

    private func admit(beside running: Int) throws(NumericsError) {
        let width = configuration.candidates
        var tokens: [Int32] = [], bounds = [0], admitted = running, last = next
        while last < prompts.count, admitted == 0 || admitted + width <= configuration.maximumBatch,
            tokens.isEmpty || tokens.count + prompts[last].count <= Self.prefillRows
        {
            tokens += prompts[last]
            bounds.append(tokens.count)
            admitted += width
            last += 1
        }
        guard last > next else { return }
        let c = model.configuration, first = next
        var caches: [KeyValueCache] = [], started: [Live] = []
        for prompt in first..<last {
            let cache = try KeyValueCache(c, capacity: prompts[prompt].count)
            caches.append(cache)
            for candidate in 0..<width {
                let own = try ownCache()
                started.append(Live(row: prompt * width + candidate, prompt: cache, own: own))
            }
        }
        let numbers = Array(0..<caches.count), starts = [Int](repeating: 0, count: caches.count)
        try tokens.withUnsafeBufferPointer { tokens throws(NumericsError) in
            let chunk = TokenChunk(
                tokens: tokens.baseAddress!, bounds: bounds, starts: starts, numbers: numbers)
            try run(chunk, ends: bounds.dropFirst().map { $0 - 1 }) { layer, a in
                self.model.attend(a, chunk, layer, after: nil, caches)
            } drawn: { rows, logits in
                for (i, prompt) in rows.enumerated() {
                    // One row of logits, as often as there are candidates.
                    let repeated = MatrixBlock(
                        base: logits.base + i * logits.columns, rows: width,
                        columns: logits.columns, leadingDimension: 0)
                    let row = (first + prompt) * width
                    self.draw(Array(row..<row + width), repeated)
                }
            }
        }
        for (s, cache) in caches.enumerated() { cache.advance(bounds[s + 1] - bounds[s]) }
        live += started
        next = last
    }

    private func ownCache() throws(NumericsError) -> KeyValueCache {
        if let cache = free.popLast() { return cache }
        return try KeyValueCache(model.configuration, capacity: configuration.maximumTokens)
    }

    // MARK: Decoding

    private func decode() throws(NumericsError) {
        let n = live.count
        let tokens = live.map { candidates[$0.row].tokens.last! }
        let starts = live.map { $0.prompt.count + $0.own.count }
        try tokens.withUnsafeBufferPointer { tokens throws(NumericsError) in
            let chunk = TokenChunk(
                tokens: tokens.baseAddress!, bounds: Array(0...n), starts: starts,
                numbers: Array(0..<n))
            try run(chunk, ends: Array(0..<n)) { layer, a in
                self.attend(a, layer)
            } drawn: { rows, logits in
                self.draw(self.live[rows].map(\.row), logits)
            }
        }
        for candidate in live { candidate.own.advance(1) }
    }

    private func attend(_ a: BlockActivations, _ layer: Int) {
        let c = model.configuration
        var segments: [Attention.Segment] = []
        segments.reserveCapacity(live.count)
        for (row, candidate) in live.enumerated() {
            let own = candidate.own
            own.write(layer, c, a.qkv.rows(row, count: 1))
            segments.append(
                Attention.Segment(
                    firstRow: row, rows: 1, prompt: candidate.prompt.blocks[layer],
                    promptLength: candidate.prompt.count, own: own.blocks[layer],
                    ownLength: own.count + 1))
        }
        model.attention.decode(a.attention, q: c.q(a.qkv), segments: segments)
    }

    /// The model on a chunk, and `drawn` on the logits of the rows `ends`, block by block.
    private func run(
        _ chunk: TokenChunk, ends: [Int], attend: (Int, BlockActivations) -> Void,
        drawn: (Range<Int>, Matrix<Float>) -> Void
    ) throws(NumericsError) {
        let c = model.configuration, factors = lora?.factors
        let (tape, head) = try workspace.layOut { layout in
            (
                LlamaTape(
                    chunk, c, layers: c.layers, keep: .nothing, lora: factors?.layout, &layout),
                LlamaHead(ends.count, c, &layout)
            )
        }
        tape.forward(model, lora: factors, attend: attend)
        head.logits(model, of: tape.hidden, rows: ends, drawn)
    }

    // MARK: Drawing

    /// Appends a token to each of `rows`, drawn from their logits.
    private func draw(_ rows: [Int], _ logits: some RowMajor) {
        // Neighbours that may and that may not end yet.
        var first = 0
        while first < rows.count {
            let mayEnd = candidates[rows[first]].tokens.count >= configuration.minimumTokens
            var last = first + 1
            while last < rows.count,
                (candidates[rows[last]].tokens.count >= configuration.minimumTokens) == mayEnd
            {
                last += 1
            }
            let block = MatrixBlock(
                base: logits.base + first * logits.leadingDimension, rows: last - first,
                columns: logits.columns, leadingDimension: logits.leadingDimension)
            draw(rows[first..<last], block, banned: mayEnd ? [] : configuration.stopTokens)
            first = last
        }
    }

    private func draw(_ rows: ArraySlice<Int>, _ logits: MatrixBlock, banned: [Int32]) {
        let uniform = rows.map { self.uniform($0) }
        var tokens = [Int32](repeating: 0, count: rows.count)
        var logP = [Float](repeating: 0, count: rows.count)
        configuration.sampling.sample(
            logits, uniform: uniform, banned: banned, tokens: &tokens, logProbabilities: &logP)
        for (i, row) in rows.enumerated() {
            candidates[row].tokens.append(tokens[i])
            candidates[row].logP.append(logP[i])
            if configuration.stopTokens.contains(tokens[i]) {
                candidates[row].finish = .stop
            } else if candidates[row].tokens.count == configuration.maximumTokens {
                candidates[row].finish = .length
            }
        }
    }

    /// Draw `t` of a candidate's key for its token `t`, in [0, 1).
    private func uniform(_ row: Int) -> Float {
        let block = keys[row].block(UInt64(candidates[row].tokens.count))
        return Float(block >> 40) * 0x1p-24
    }

    /// Candidates that have ended leave.
    private func retire() {
        for ended in live where candidates[ended.row].finish != .running {
            ended.own.clear()
            free.append(ended.own)
        }
        live.removeAll { candidates[$0.row].finish != .running }
    }
}

import FPOKernelTypes
public import FPONumerics

extension Attention {
    /// Memory for `forward` and `backward` on up to `tokens` rows in up to `sequences` sequences.
    public final class Workspace: @unchecked Sendable {
        let tokens, sequences: Int
        let backward: Bool
        let memory: Buffer<Float>
        let blocks: Buffer<Block>

        public init(
            _ attention: Attention, tokens: Int, sequences: Int, backward: Bool
        ) throws(NumericsError) {
            self.tokens = tokens
            self.sequences = sequences
            self.backward = backward
            let padded = tokens + 31 * sequences
            memory = try Buffer(padded + 32, attention.elementsPerToken(backward: backward))
            blocks = try Buffer(tokens / Block.rows + sequences)
        }
    }

    /// Neighbouring rows of one sequence: a task, for each head.
    struct Block: BitwiseCopyable, Sendable {
        static let rows = 48

        /// The sequence: its first row, its number of rows, the padded rows and the elements of
        /// `bias` before it.
        let start, count, padded, bias: Int
        /// Rows of the sequence.
        let first, last: Int
    }

    /// Elements of the panels' rows.
    var width: Int { AttentionKernels.padded(headDimension) }

    /// Whether a head's rows may be read by whole panels where they stand.
    var direct: Bool { headDimension == width }

    fileprivate func elementsPerToken(backward: Bool) -> Int {
        let (H, KV, D) = (heads, keyValueHeads, headDimension)
        let turned = backward ? 2 * (H + KV) * D + H : KV * D
        return turned + (direct ? 0 : (backward ? 2 * H + KV : KV) * width)
    }

    /// Cuts sequences into blocks, the last rows first: causal ones take longest. Returns how many
    /// there are.
    func cut(_ sequences: [Int], _ blocks: UnsafeMutablePointer<Block>) -> Int {
        var count = 0, padded = 0, bias = 0
        for s in 0..<sequences.count - 1 {
            let start = sequences[s], n = sequences[s + 1] - start
            for first in stride(
                from: (n - 1) / Block.rows * Block.rows, through: 0, by: -Block.rows)
            where n > 0 {
                blocks[count] = Block(
                    start: start, count: n, padded: padded, bias: bias, first: first,
                    last: min(first + Block.rows, n))
                count += 1
            }
            padded += AttentionKernels.padded(n)
            bias += heads * n * n
        }
        return count
    }

    /// Runs `body` for each block and head, on one thread where that is quicker.
    func run(
        _ blocks: UnsafePointer<Block>, _ count: Int, heads: Int, small: Bool,
        _ body: (Block, _ head: Int) -> Void
    ) {
        if small {
            for b in 0..<count { for h in 0..<heads { body(blocks[b], h) } }
        } else {
            ThreadPool.shared.run(tasks: count * heads) { task in
                body(blocks[task / heads], task % heads)
            }
        }
    }

    /// Turns the heads of a sequence over, once for all its blocks: `(heads, D, padded(n))` at
    /// `out + padded · heads · D`.
    func turn(
        _ x: Strided, _ heads: Int, _ h: Int, _ block: Block, _ out: UnsafeMutablePointer<Float>
    ) {
        guard block.first == 0 else { return }
        transformerKernels.attention.transpose(
            block.count, headDimension,
            .init(x[block.start] + h * headDimension, x.leadingDimension),
            turned(out, heads, h, block))
    }

    func turned(
        _ base: UnsafeMutablePointer<Float>, _ heads: Int, _ h: Int, _ block: Block
    ) -> UnsafeMutablePointer<Float> {
        base + (block.padded * heads + h * AttentionKernels.padded(block.count)) * headDimension
    }

    /// A head's rows as panels may read them: where they stand, or the copy at `copies`.
    func panels(
        _ x: Strided, _ heads: Int, _ h: Int, _ block: Block, _ copies: UnsafeMutablePointer<Float>
    ) -> AttentionKernels.Rows {
        if direct { return .init(x[block.start] + h * headDimension, x.leadingDimension) }
        let base =
            copies + (block.padded * heads + h * AttentionKernels.padded(block.count)) * width
        return .init(base, width)
    }

    /// Makes the copy.
    func copy(
        _ x: Strided, _ heads: Int, _ h: Int, _ block: Block, _ copies: UnsafeMutablePointer<Float>
    ) {
        guard block.first == 0, !direct else { return }
        let rows = panels(x, heads, h, block, copies)
        for i in 0..<block.count {
            (rows.base + i * width).update(
                from: x[block.start + i] + h * headDimension, count: headDimension)
        }
    }
}

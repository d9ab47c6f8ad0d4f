import CFPO
import FPOModels
import FPONumerics

/// Tokens of one sequence, each within the vocabulary.
func checkedTokens(
    _ pointer: UnsafePointer<Int32>?, count: Int, _ model: LlamaModel, _ name: String
) throws(Failure) -> UnsafeBufferPointer<Int32> {
    let base = try input(pointer, 1, count, ld: count, name).base
    let vocabulary = model.configuration.vocabulary
    for i in 0..<count where base[i] < 0 || Int(base[i]) >= vocabulary {
        throw Failure(
            FPO_ERR_DOMAIN, "\(name)[\(i)]: \(base[i]), but must be in [0, \(vocabulary))")
    }
    return UnsafeBufferPointer(start: base, count: count)
}

/// A ragged batch whose sequences fit the context after `before` tokens.
func checkedBatch(
    _ n: Int, _ offsets: UnsafePointer<Int64>?, _ tokens: UnsafePointer<Int32>?,
    _ model: LlamaModel, after before: Int = 0
) throws(Failure) -> TokenBatch {
    try requireSize(n, "n")
    guard n > 0 else {
        return TokenBatch(
            count: 0, offsets: UnsafePointer(bitPattern: 8)!, tokens: UnsafePointer(bitPattern: 8)!)
    }
    let offsets = try input(offsets, 1, n + 1, ld: n + 1, "offsets").base
    try require(offsets[0] == 0, FPO_ERR_DOMAIN, "offsets[0]: \(offsets[0]), but must be 0")
    let context = model.configuration.context
    for i in 0..<n {
        let length = offsets[i + 1].subtractingReportingOverflow(offsets[i])
        try require(
            !length.overflow && length.partialValue >= 0, FPO_ERR_DOMAIN,
            "offsets[\(i + 1)]: \(offsets[i + 1]), but must not be below offsets[\(i)], "
                + "\(offsets[i])")
        try require(
            Int(length.partialValue) <= context - before, FPO_ERR_SHAPE,
            "sequence \(i): \(length.partialValue) tokens"
                + (before > 0 ? " after \(before)" : "")
                + ", but this model takes \(context)")
    }
    let count = Int(offsets[n])
    try requireSize(count, "offsets[n]", stride: 4)
    let checked = try checkedTokens(tokens, count: count, model, "tokens")
    return TokenBatch(
        count: n, offsets: offsets,
        tokens: checked.baseAddress ?? UnsafePointer(bitPattern: 8)!)
}

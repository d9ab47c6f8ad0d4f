import CFPO
import FPOModels
import FPONumerics

private func use(
    _ lora: OpaquePointer?, _ body: (LoRAAdapter) throws(Failure) -> Void
) -> Int32 {
    boundary { () throws(Failure) in
        try LoRAHandle.use(lora, "lora") { state throws(Failure) in try body(state.adapter) }
    }
}

@c @implementation
public func fpo_lora_loss(
    _ lora: OpaquePointer?, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ weights: UnsafePointer<Double>?, _ dropout_key: UInt64,
    _ loss: UnsafeMutablePointer<Double>?, _ log_p: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(lora) { adapter throws(Failure) in
        let batch = try checkedBatch(n, offsets, tokens, adapter.model)
        let weights = try finiteInput(weights, count: batch.tokenCount, "weights")
        let loss = try unwrap(loss, "loss")
        try attempt { () throws(NumericsError) in
            let scores = try Buffer<Double>(batch.tokenCount)
            loss.pointee = try adapter.loss(
                batch, weights: weights, dropoutKey: RandomKey(value: dropout_key),
                logP: scores.base)
            log_p?.update(from: scores.base, count: batch.tokenCount)
        }
    }
}

@c @implementation
public func fpo_lora_forward(
    _ lora: OpaquePointer?, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ mask: UnsafePointer<Int32>?, _ dropout_key: UInt64,
    _ log_p: UnsafeMutablePointer<Double>?, _ entropy: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(lora) { adapter throws(Failure) in
        let batch = try checkedBatch(n, offsets, tokens, adapter.model)
        let count = batch.tokenCount
        if mask != nil {
            let mask = try input(mask, 1, count, ld: count, "mask").base
            for i in 0..<count { try requireFlag(mask[i], "mask[\(i)]") }
        }
        let logP = try output(log_p, count: count, "log_p")
        try attempt { () throws(NumericsError) in
            let scores = try Buffer<Double>(2, count)
            try adapter.forward(
                batch, dropoutKey: RandomKey(value: dropout_key), logP: scores.base,
                entropy: scores.base + count
            ) { mask == nil || mask![$0] == 1 }
            logP.update(from: scores.base, count: count)
            entropy?.update(from: scores.base + count, count: count)
        }
    }
}

@c @implementation
public func fpo_lora_backward(
    _ lora: OpaquePointer?, _ coefficients: UnsafePointer<Double>?
) -> Int32 {
    use(lora) { adapter throws(Failure) in
        try require(
            adapter.isPending, FPO_ERR_STATE,
            "lora: no fpo_lora_forward() to go back through, or parameters have changed since")
        let coefficients = try finiteInput(
            coefficients, count: adapter.pendingTokens, "coefficients")
        try attempt { () throws(NumericsError) in try adapter.backward(coefficients) }
    }
}

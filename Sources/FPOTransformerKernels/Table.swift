public import FPOKernelTypes

/// The kernels of this module.
public let table = TransformerKernels(
    panelWidth: panelWidth,
    pack: { pack($0, $1, $2) },
    unpack: { unpack($0, $1, $2) },
    multiply: { multiply($0, $1, $2, $3, $4, $5, $6) },
    multiplyTransposed: { multiplyTransposed($0, $1, $2, $3, $4, $5, $6, $7, $8, $9) },
    product: { product($0, $1, $2, $3, $4, $5, $6, $7, $8) },
    layers: LayerKernels(
        add: { add($0, $1, $2, $3) },
        rms: { rms($0, $1, $2, $3, $4) },
        rmsBackward: { rmsBackward($0, $1, $2, $3, $4, $5) },
        layerNorm: { layerNorm($0, $1, $2, $3, $4, $5) },
        layerNormBackward: { layerNormBackward($0, $1, $2, $3, $4, $5, $6) },
        addCentredProduct: { addCentredProduct($0, $1, $2, $3, $4, $5) },
        swiglu: { swiglu($0, $1, $2, $3) },
        swigluBackward: { swigluBackward($0, $1, $2, $3, $4, $5) },
        gelu: { gelu($0, $1, $2, $3) },
        geluBackward: { geluBackward($0, $1, $2, $3, $4) },
        rotate: { rotate($0, $1, $2, $3) },
        accumulate: { accumulate($0, $1, $2) },
        scaledExponential: { scaledExponential($0, $1, $2, $3) }),
    attention: AttentionKernels(
        transpose: { transpose($0, $1, $2, $3) },
        forward: { attend($0, $1, $2, $3, $4, $5, $6) },
        queryBackward: {
            queryBackward($0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        },
        keyBackward: { keyBackward($0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) },
        decode: { decode($0, $1, $2, $3, $4, $5, $6) }))

// swift-tools-version: 6.2
import PackageDescription

// Each target imports only what it lists (`make build` turns a stray import into an error), and
// lists only targets below it. The order here is the layering, bottom first.

/// The hot loops are optimised in debug builds too: without `-O` they are 40 to 400 times slower.
let optimized: SwiftSetting = .unsafeFlags(["-O"])

/// A folder of kernels, linked under the name of each element type and CPU level that it is compiled
/// for (`Sources/FPOKernels` under four, `Sources/FPOTransformerKernels` under two); `FPONumerics`
/// picks a level when the library loads.
func kernels(_ element: String, level: Int, name: String? = nil) -> Target {
    var settings: [SwiftSetting] = [
        optimized, .unsafeFlags(["-Xcc", "-march=x86-64-v\(level)"]),
        .define("ELEMENT_\(element)"), .define("LEVEL_V\(level)"),
        .unsafeFlags(["-Xcc", "-DELEMENT_\(element)", "-Xcc", "-DLEVEL_V\(level)"]),
    ]
    if level == 4 { settings.append(.unsafeFlags(["-Xcc", "-mprefer-vector-width=512"])) }
    return .target(
        name: name ?? "FPOKernels\(element)V\(level)", dependencies: ["CLanes", "FPOKernelTypes"],
        swiftSettings: settings)
}

let export = "\(Context.packageDirectory)/Sources/FPOABI/fpo.map"

let package = Package(
    name: "fpo",
    products: [.library(name: "fpo", type: .dynamic, targets: ["FPOABI"])],
    targets: [
        .systemLibrary(name: "CFPO", path: "include"),
        .systemLibrary(name: "COpenBLAS"),
        .systemLibrary(name: "CLanes"),
        .target(name: "CShims"),
        .target(name: "FPOKernelTypes"),
        kernels("F32", level: 3), kernels("F32", level: 4),
        kernels("F64", level: 3), kernels("F64", level: 4),
        kernels("F32", level: 3, name: "FPOTransformerKernelsV3"),
        kernels("F32", level: 4, name: "FPOTransformerKernelsV4"),
        .target(
            name: "FPONumerics",
            dependencies: [
                "COpenBLAS", "CShims", "FPOKernelTypes",
                "FPOKernelsF32V3", "FPOKernelsF32V4", "FPOKernelsF64V3", "FPOKernelsF64V4",
                "FPOTransformerKernelsV3", "FPOTransformerKernelsV4",
            ],
            swiftSettings: [optimized]),
        .target(
            name: "FPOLayers", dependencies: ["CShims", "FPOKernelTypes", "FPONumerics"],
            swiftSettings: [optimized]),
        .target(
            name: "FPOObjectives", dependencies: ["FPOKernelTypes", "FPONumerics"],
            swiftSettings: [optimized]),
        .target(
            name: "FPOModels", dependencies: ["FPONumerics", "FPOLayers"],
            swiftSettings: [optimized]),
        .target(
            name: "FPOTraining",
            dependencies: ["FPOKernelTypes", "FPONumerics", "FPOObjectives", "FPOModels"]),
        .target(
            name: "FPOABI",
            dependencies: [
                "CFPO", "CShims", "FPOKernelTypes", "FPONumerics", "FPOObjectives", "FPOModels",
                "FPOTraining",
            ],
            exclude: ["fpo.map", "symbols.txt"],
            linkerSettings: [
                .unsafeFlags(["-static-stdlib", "-Xlinker", "--version-script=\(export)"])
            ]),

        .target(
            name: "FPOTestSupport", dependencies: ["FPONumerics"], path: "Tests/FPOTestSupport"),
        .testTarget(
            name: "FPOKernelsTests",
            dependencies: [
                "FPOKernelTypes", "FPONumerics", "FPOTestSupport",
                "FPOKernelsF32V3", "FPOKernelsF64V3", "FPOKernelsF32V4", "FPOKernelsF64V4",
                "FPOTransformerKernelsV3", "FPOTransformerKernelsV4",
            ]),
        .testTarget(
            name: "FPONumericsTests", dependencies: ["FPONumerics", "FPOTestSupport"]),
        .testTarget(
            name: "FPOLayersTests", dependencies: ["FPOLayers", "FPONumerics", "FPOTestSupport"]),
        .testTarget(
            name: "FPOObjectivesTests",
            dependencies: ["FPOObjectives", "FPOKernelTypes", "FPONumerics", "FPOTestSupport"]),
        .testTarget(
            name: "FPOModelsTests",
            dependencies: ["FPOModels", "FPONumerics", "FPOLayers", "FPOTestSupport"]),
        .testTarget(
            name: "FPOTrainingTests",
            dependencies: [
                "FPOTraining", "FPOKernelTypes", "FPOModels", "FPONumerics", "FPOObjectives",
                "FPOTestSupport",
            ]),
    ],
    swiftLanguageModes: [.v6]
)

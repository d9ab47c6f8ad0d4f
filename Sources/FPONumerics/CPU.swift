import CShims
public import FPOKernelTypes
import FPOKernelsF32V3
import FPOKernelsF32V4
import FPOKernelsF64V3
import FPOKernelsF64V4
import FPOTransformerKernelsV3
import FPOTransformerKernelsV4

/// The processor, and the kernels chosen for it.
public enum CPU {
    /// The x86-64 level of the processor: 4, 3, or 2 for anything less.
    public static let detectedLevel = Int(fpo_detect_cpu_level())

    /// The level whose kernels are used: the detected one, or a lower one that the environment
    /// variable `FPO_CPU_LEVEL` asks for.
    public static let level: Int = {
        guard let text = fpo_environment_variable("FPO_CPU_LEVEL"), text[0] != 0, text[1] == 0
        else { return detectedLevel }
        let asked = Int(text[0]) - Int(UInt8(ascii: "0"))
        return (2...4).contains(asked) ? min(asked, detectedLevel) : detectedLevel
    }()

    /// The kernels of this level; `nil` below x86-64-v3.
    public static let float = kernels(v3: FPOKernelsF32V3.table, v4: FPOKernelsF32V4.table)
    public static let double = kernels(v3: FPOKernelsF64V3.table, v4: FPOKernelsF64V4.table)

    /// The game kernels of this level, by element type.
    public static let floatGames = kernels(v3: FPOKernelsF32V3.games, v4: FPOKernelsF32V4.games)
    public static let doubleGames = kernels(v3: FPOKernelsF64V3.games, v4: FPOKernelsF64V4.games)

    /// The kernels of a lone utility filter at this level.
    public static let filters = kernels(v3: FPOKernelsF64V3.filters, v4: FPOKernelsF64V4.filters)

    /// The kernels of transformer layers at this level.
    public static let transformer = kernels(
        v3: FPOTransformerKernelsV3.table, v4: FPOTransformerKernelsV4.table)

    /// Only the table of this level is made: making one runs code of its level.
    private static func kernels<Table>(
        v3: @autoclosure () -> Table, v4: @autoclosure () -> Table
    ) -> Table? {
        switch level {
        case 4: v4()
        case 3: v3()
        default: nil
        }
    }
}

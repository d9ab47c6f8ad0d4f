import CFPO
import CShims

/// What a C function returns instead of `FPO_OK`, and what `fpo_last_error` then says.
///
/// Everything that a caller can pass is checked here, before a Swift index touches it: a Swift
/// trap would end the caller's process.
struct Failure: Error {
    let status: Int32
    let message: String

    init(_ status: Int, _ message: String) {
        self.status = Int32(status)
        self.message = message
    }
}

/// Runs the body of a C function and turns a `Failure` into its status.
func boundary(_ body: () throws(Failure) -> Void) -> Int32 {
    do throws(Failure) {
        try body()
        return 0
    } catch {
        remember(error.message)
        return error.status
    }
}

/// Stores `text` as this thread's last error, cut to what the buffer holds.
private func remember(_ text: String) {
    let buffer = fpo_message()!
    let capacity = Int(fpo_message_capacity) - 1
    var count = 0
    for byte in text.utf8 {
        guard count < capacity else { break }
        buffer[count] = CChar(bitPattern: byte)
        count += 1
    }
    buffer[count] = 0
}

func require(
    _ condition: Bool, _ status: Int, _ message: @autoclosure () -> String
) throws(Failure) {
    guard condition else { throw Failure(status, message()) }
}

/// The pointer, or `FPO_ERR_NULL` with the argument's name.
func unwrap<Pointer>(_ pointer: Pointer?, _ name: String) throws(Failure) -> Pointer {
    guard let pointer else { throw Failure(FPO_ERR_NULL, "\(name): NULL") }
    return pointer
}

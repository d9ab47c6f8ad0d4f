import CFPO
import Synchronization

/// A Swift object behind an opaque C pointer. One thread at a time: whoever finds the handle taken
/// gets `FPO_ERR_BUSY`, not a wait and not a race.
final class Handle<Object: Sendable>: Sendable {
    let object: Object
    private let taken = Atomic<Bool>(false)

    init(_ object: Object) { self.object = object }

    /// A C pointer that owns the object until `destroy`.
    static func create(_ object: Object) -> OpaquePointer {
        OpaquePointer(Unmanaged.passRetained(Handle(object)).toOpaque())
    }

    static func destroy(_ pointer: OpaquePointer?) {
        guard let pointer else { return }
        Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(pointer)).release()
    }

    /// The object itself, for what any thread may do at any time.
    static func peek(_ pointer: OpaquePointer?, _ name: String) throws(Failure) -> Object {
        let pointer = try unwrap(pointer, name)
        return Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue().object
    }

    /// Runs `body` with the object while no other thread has it.
    static func use<Result>(
        _ pointer: OpaquePointer?, _ name: String,
        _ body: (Object) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let pointer = try unwrap(pointer, name)
        let handle = Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
        try require(
            !handle.taken.exchange(true, ordering: .acquiring), FPO_ERR_BUSY,
            "\(name): another thread is inside this handle")
        defer { handle.taken.store(false, ordering: .releasing) }
        return try body(handle.object)
    }
}

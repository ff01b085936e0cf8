// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// An account as ERC-4337 has them, with EIP-1271 signatures: no published account with both comes as bytecode in a
/// package. Like the ones in use, it wants its owner's signature over a message of its own with the hash in it, so that
/// a signature for one account is none for another, and wrapped with the number of the owner.
contract SmartAccount {
    struct PackedUserOperation {
        address sender;
        uint256 nonce;
        bytes initCode;
        bytes callData;
        bytes32 accountGasLimits;
        uint256 preVerificationGas;
        bytes32 gasFees;
        bytes paymasterAndData;
        bytes signature;
    }

    address public constant ENTRY_POINT = 0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108;
    address public immutable OWNER;
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant MESSAGE_TYPE = keccak256("SmartAccountMessage(bytes32 hash)");

    constructor(address owner) {
        OWNER = owner;
    }

    function validateUserOp(PackedUserOperation calldata operation, bytes32 operationHash, uint256)
        external
        view
        returns (uint256)
    {
        require(msg.sender == ENTRY_POINT, "SmartAccount: not the entry point");
        return isByOwner(operationHash, operation.signature) ? 0 : 1;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        bytes32 digest = keccak256(
            abi.encodePacked(hex"1901", domainSeparator(), keccak256(abi.encode(MESSAGE_TYPE, hash)))
        );
        return isByOwner(digest, signature) ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    function domainSeparator() private view returns (bytes32) {
        return keccak256(
            abi.encode(DOMAIN_TYPE, keccak256("Smart Account"), keccak256("1"), block.chainid, address(this))
        );
    }

    function isByOwner(bytes32 digest, bytes calldata signature) private view returns (bool) {
        (uint256 number, bytes memory inner) = abi.decode(signature, (uint256, bytes));
        require(number == 0 && inner.length == 65, "SmartAccount: unknown owner");
        (bytes32 r, bytes32 s) = abi.decode(inner, (bytes32, bytes32));
        return ecrecover(digest, uint8(inner[64]), r, s) == OWNER;
    }
}

contract SmartAccounts {
    function create(address owner, uint256 salt) external returns (address) {
        return address(new SmartAccount{salt: bytes32(salt)}(owner));
    }
}

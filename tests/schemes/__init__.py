"""What is signed for an offer: exact on EVM and on Solana."""

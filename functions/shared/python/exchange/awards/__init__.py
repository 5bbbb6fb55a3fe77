"""What a closed period's fees give back: rebates to makers, commissions to who brought a payer."""
